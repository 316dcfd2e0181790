"""What programs do with streams by nats-py."""
