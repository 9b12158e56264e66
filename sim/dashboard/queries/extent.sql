-- Extent of the lake: times in microseconds since 1970, and lengths of a window and of a sample.
SELECT
  unix_micros(rows_of.first_row) AS first_us,
  unix_micros(rows_of.last_row) AS last_us,
  rows_of.units,
  windows.window_us,
  CAST(windows.window_us / windows.most_rows AS BIGINT) AS sample_us
FROM (
  SELECT
    MIN(timestamp) AS first_row,
    MAX(timestamp) AS last_row,
    COUNT(DISTINCT turbine_id) AS units
  FROM wind_turbine_enriched
) AS rows_of
CROSS JOIN (
  SELECT
    MAX(unix_micros(window_end) - unix_micros(window_start)) AS window_us,
    MAX(`rows`) AS most_rows
  FROM wind_turbine_aggregated
) AS windows
