from django.apps import AppConfig


class EffectsConfig(AppConfig):
    name = "delivr.effects"
