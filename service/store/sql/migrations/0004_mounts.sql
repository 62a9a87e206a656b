-- By which compatible API a task came in, in whose words it is told, and what its caller called the model. NULL in
-- tasks of the native API and in those from before this; deleted_at: its caller does not want to see it there any more.
ALTER TABLE tasks ADD COLUMN mount TEXT;
ALTER TABLE tasks ADD COLUMN caller_dialect TEXT;
ALTER TABLE tasks ADD COLUMN caller_surface TEXT;
ALTER TABLE tasks ADD COLUMN caller_model TEXT;
ALTER TABLE tasks ADD COLUMN deleted_at BIGINT;
