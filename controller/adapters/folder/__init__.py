"""The policy folder: files, links, mounts and the watcher."""
