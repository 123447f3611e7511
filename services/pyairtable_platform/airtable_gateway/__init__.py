"""All traffic to Airtable: paced over the cluster, safe to repeat, an outcome for every row.

A call goes servicer -> service -> calls (credential, budget, turn, repeats) -> airtable (the wire).
docs/airtable-gateway.md tells what it promises.
"""
