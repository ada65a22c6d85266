"""Web Push: notifications for browsers that have no page open (docs/api.md section 9)."""
