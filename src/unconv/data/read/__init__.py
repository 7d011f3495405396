"""Whatever holds pictures, read by one mechanism: files, archives, arrays, datasets, loaders, streams."""
