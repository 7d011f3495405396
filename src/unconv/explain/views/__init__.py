"""Views: from a geometry to a scene, one file a view."""
