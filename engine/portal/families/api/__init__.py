"""The API for families' apps: signing in, logins and devices."""
