module pyairtable.dev/tools/pause // v1.0.0

go 1.26.0
