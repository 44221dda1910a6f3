"""How the platform is watched: the sources of the Grafana dashboards, and the scrape configuration."""
