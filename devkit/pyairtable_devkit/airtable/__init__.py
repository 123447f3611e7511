"""An Airtable emulator over HTTP, for development and tests only.

`server` starts it, `testing` starts it inside a test, `app` is the HTTP surface, `control` the
side under `/_emulator`. Below them: `records`, `schema`, `comments`, `attachments`, `webhooks`
(one concern of the API each) over `store` (the data), `cells`/`typecast` (what a cell accepts)
and `computed` (what a computed cell holds).
"""
