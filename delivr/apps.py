from django.apps import AppConfig


class DelivrConfig(AppConfig):
    name = "delivr"
