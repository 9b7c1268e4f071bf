-- A place kept for tables to come.
SELECT 1;
