"""How the admin writes moments: with their zone (Django's FORMAT_MODULE_PATH)."""

DATETIME_FORMAT = "Y-m-d H:i:s e"
