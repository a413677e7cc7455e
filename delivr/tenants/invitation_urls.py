from django.urls import path

from delivr.tenants import invitation_views as views

urlpatterns = [
    path("invitation", views.invitation, name="invitation"),
    path("invitation/sign-out", views.sign_out, name="invitation_sign_out"),
    path("invitations/<str:secret>", views.link, name="invitation_link"),
]
