"""Orders with a link to the run that ships each."""

from django.conf import settings
from django.contrib import admin
from django.utils.html import format_html

from shop.models import Order, Stock


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ("id", "item", "shipped", "run")

    @admin.display(description="run")
    def run(self, order):
        if order.run_id is None:
            return "-"
        return format_html('<a href="{}/runs/{}">{}</a>', settings.BROADAXE_URL, order.run_id, str(order.run_id)[-8:])


admin.site.register(Stock)
