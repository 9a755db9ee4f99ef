module posthouse.dev/test/cluster/servers/pause

go 1.25.0
