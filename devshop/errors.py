"""What devshop cannot do."""


class DevshopError(Exception):
    """What was asked of devshop cannot be done; the message says why."""
