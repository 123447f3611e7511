"""alembic's entry: run the chain it was given on the connection it was given, in the service's schema."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

context.configure(connection=connection, version_table_schema=schema, transactional_ddl=True)
with context.begin_transaction():
    connection.execute(text(f'SET LOCAL search_path TO "{schema}"'))
    # Row security holds the owner of a table too; a migration is about all rows.
    connection.execute(text("SELECT set_config('app.workspace', '*', true)"))
    context.run_migrations()
connection.commit()
