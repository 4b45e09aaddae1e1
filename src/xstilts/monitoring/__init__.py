"""Monitoring: where a study stands while it runs (`status`, `dashboard`), and its figures in a tracker."""
