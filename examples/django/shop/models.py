"""Orders, each with the run that ships it."""

from django.db import models


class Stock(models.Model):
    item = models.CharField(max_length=200, primary_key=True)
    pieces = models.PositiveIntegerField()


class Order(models.Model):
    item = models.CharField(max_length=200)
    shipped = models.BooleanField(default=False)
    run_id = models.UUIDField(null=True, editable=False)
