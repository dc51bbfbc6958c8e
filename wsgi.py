"""The WSGI entry point: `granian wsgi:app`, `flask --app wsgi`."""

from occ_app import create_app

app = create_app()
