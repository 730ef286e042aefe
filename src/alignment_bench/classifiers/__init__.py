"""Programs that say how toxic a text is: one file a classifier, and one small contract for all of them."""
