# The image of every process; which one runs is its command (docs/deploying.md).
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/delivr
COPY requirements-pip.lock requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/pip install --require-hashes --no-deps -r requirements-pip.lock \
    && .venv/bin/pip install --require-hashes -r requirements.lock
COPY . .
# The keys only let the settings load: nothing of them stays in the files that are collected.
RUN SECRET_KEY=unused FERNET_KEYS=unused .venv/bin/python manage.py collectstatic --noinput \
    && .venv/bin/python -m compileall -q .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 delivr && useradd --uid 10001 --gid 10001 --no-create-home delivr
COPY --from=build /srv/delivr /srv/delivr
WORKDIR /srv/delivr
# The root file system may be read-only; /tmp has to be writable.
ENV PATH=/srv/delivr/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DELIVR_DATA_DIR=/tmp/delivr \
    GUNICORN_CMD_ARGS="--bind 0.0.0.0:8000"
USER 10001:10001
EXPOSE 8000
# ALLOWED_HOSTS has to name localhost. It is for the web server; switch it off for other processes.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://localhost:8000/livez', timeout=4)"]
CMD ["gunicorn"]
