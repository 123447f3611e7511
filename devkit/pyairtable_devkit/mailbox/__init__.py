"""A mailbox for development: takes letters over SMTP, shows them over HTTP, sends none on."""
