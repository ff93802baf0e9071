//! The HTTP door: JSON API, live events, web client, health and metrics.
