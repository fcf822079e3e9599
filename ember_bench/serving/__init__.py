"""Web servers: networks as OpenAI-compatible models."""
