from django.apps import AppConfig
from django.conf import settings


class EffectsConfig(AppConfig):
    name = "delivr.effects"

    def ready(self) -> None:
        """Every process refuses to start where the order of times that all bounds rest on is
        broken, or a handler cannot be found."""
        from delivr.effects.handlers import handler_for  # models are ready now

        for kind in settings.EFFECT_HANDLERS:
            handler_for(kind)
