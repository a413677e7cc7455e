"""How well a workspace's releases and builds go: figures with definitions, charts, export."""
