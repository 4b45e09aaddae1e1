"""Runtime: device, folders, progress, signals and tables: settings and output that decide no result."""
