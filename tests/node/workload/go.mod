module pyairtable.dev/tests/workload

go 1.26.0
