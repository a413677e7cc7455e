from django.apps import AppConfig
from django.conf import settings


class EffectsConfig(AppConfig):
    name = "delivr.effects"

    def ready(self) -> None:
        """Do not start if a handler is missing, or if its time-outs are in the wrong order."""
        from delivr.effects.handlers import handler_for  # the models are loaded by now

        for kind in settings.EFFECT_HANDLERS:
            handler_for(kind)
