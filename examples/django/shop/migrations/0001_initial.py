from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Stock",
            [
                ("item", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("pieces", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("item", models.CharField(max_length=200)),
                ("shipped", models.BooleanField(default=False)),
                ("run_id", models.UUIDField(null=True, editable=False)),
            ],
        ),
    ]
