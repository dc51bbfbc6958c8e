"""${message}"""

from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """The schema is one step newer."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """The schema is one step older."""
    ${downgrades if downgrades else "pass"}
