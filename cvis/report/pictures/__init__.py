"""Pictures of predictions: overlays, panels side by side, videos and contact sheets. Without torch."""
