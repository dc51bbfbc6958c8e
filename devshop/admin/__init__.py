"""The admin: stores, products, orders, what the app was told and asked, and the app embedded beside live stock.

Addresses are those of Shopify's admin below `/store/<name>`, so that a link into `admin.shopify.com` has its page here. Forms post and
come back; the app's frame stays.
"""

from devshop.admin import app_frame, goods, records
from devshop.admin.frame import blueprint

__all__ = ["app_frame", "blueprint", "goods", "records"]
