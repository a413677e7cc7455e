"""Accounts: passwords, allauth, second factors, lockout."""

from datetime import timedelta

from delivr.settings.environment import EMAIL_URL, IS_HTTPS, SANDBOX_URL, TRUSTED_PROXIES

# --- Passwords -----------------------------------------------------------------------------------
AUTH_USER_MODEL = "tenants.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses; it signs nobody in
    "delivr.signin.backends.Accounts",  # allauth's; see delivr/signin/sessions.py
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Accounts (allauth) --------------------------------------------------------------------------
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
ACCOUNT_ADAPTER = "delivr.signin.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# Sign-up can hide that an address is taken only if it always ends with a mail.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if EMAIL_URL else "optional"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_CHANGE_EMAIL = True  # one address; a new one replaces it once confirmed
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_RATE_LIMITS = {
    "signup": "20/h/ip",
    "reset_password": "20/m/ip,3/300s/key",
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/900s/key",  # of codes; passwords are counted by axes
}
ACCOUNT_FORMS = {
    "add_email": "delivr.signin.forms.AddEmailForm",
    "signup": "delivr.signin.forms.SignupForm",
}
ACCOUNT_SIGNUP_FORM_CLASS = "delivr.tenants.forms.WorkspaceSignup"
ACCOUNT_LOGOUT_ON_GET = False
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

# --- Second factors ------------------------------------------------------------------------------
MFA_ADAPTER = "delivr.signin.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "delivr"
# If mails are sent, nobody can sign in with an unconfirmed address anyway. Users with a second
# factor must be able to change their address.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_HTTPS  # browsers allow it on http://localhost only
# /admin/ requires a second factor, except in the demo, which runs on this machine only.
SECOND_FACTOR_FOR_STAFF = not SANDBOX_URL

# --- Lockout (axes) ------------------------------------------------------------------------------
# Wrong passwords are counted by IP address and email together: knowing somebody's email is not
# enough to lock them out.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the announced wait stays correct
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["csrfmiddlewaretoken", "login", "username", "ip_address"]
AXES_USERNAME_CALLABLE = "delivr.signin.lockout.name_of"
AXES_CLIENT_IP_CALLABLE = "delivr.signin.clients.address_of"
AXES_LOCKOUT_CALLABLE = "delivr.signin.lockout.locked_out"
