"""Web servers: networks as OpenAI-compatible models, and the live view."""
