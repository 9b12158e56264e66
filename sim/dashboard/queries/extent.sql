-- Extent of the lake: times in microseconds since 1970, and lengths of a window and of a sample.
-- A sample is as long as in the performance view: the median time between two rows of a turbine.
SELECT
  measured.first_us,
  measured.last_us,
  measured.units,
  windows.window_us,
  measured.sample_us
FROM (
  SELECT
    MIN(unix_micros(timestamp)) AS first_us,
    MAX(unix_micros(timestamp)) AS last_us,
    COUNT(DISTINCT turbine_id) AS units,
    MEDIAN(step_us) AS sample_us
  FROM (
    SELECT
      turbine_id,
      timestamp,
      unix_micros(timestamp)
      - LAG(unix_micros(timestamp)) OVER (PARTITION BY turbine_id ORDER BY timestamp) AS step_us
    FROM wind_turbine_enriched
  ) AS steps
) AS measured
CROSS JOIN (
  SELECT MAX(unix_micros(window_end) - unix_micros(window_start)) AS window_us
  FROM wind_turbine_aggregated
) AS windows
