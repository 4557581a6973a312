"""POST /orders/ places an order, GET /orders/5/ says how far it is, /admin/ shows all of them."""

from django.contrib import admin
from django.db import IntegrityError
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from shop.models import Order, Stock
from shop.orders import place_order


@csrf_exempt
@require_POST
def orders(request: HttpRequest) -> JsonResponse:
    item = request.POST.get("item", "")
    if not Stock.objects.filter(item=item).exists():
        return JsonResponse({"error": f"item: there is no {item[:50]!r} in the shop"}, status=400)
    try:
        order = place_order(item)
    except IntegrityError:
        return JsonResponse({"error": f"item: no {item} is left"}, status=409)
    return JsonResponse({"id": order.id, "run_id": str(order.run_id)}, status=201)


@require_GET
def order(request: HttpRequest, order_id: int) -> JsonResponse:
    found = get_object_or_404(Order, id=order_id)
    return JsonResponse({"item": found.item, "shipped": found.shipped, "run_id": str(found.run_id)})


urlpatterns = [path("orders/", orders), path("orders/<int:order_id>/", order), path("admin/", admin.site.urls)]
