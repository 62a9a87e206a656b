-- In which format the body is; NULL: the subscription's.
ALTER TABLE deliveries ADD COLUMN format TEXT;
