"""Language models: finding them, storing policies made from them, sampling and scoring.

`catalog` finds models by name, `conversion` turns GGUF files into folders, `policy` and `storage` hold
and restore policies, `sampling` and `scoring` do the arithmetic, `prefill` the part those two share.
"""
