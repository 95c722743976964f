"""Views that tell how runs went: pipeline runs, snapshots, costs."""
