"""Arrays and files: what a dataset is, how it is split and audited, images, and the data store."""
