"""Files: the ones that users bring, the ones that we write, and how their names say what they hold."""
