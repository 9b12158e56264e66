-- Maintenance planning, corrected.
--
-- The query as written counts every valid row as an anomaly: each turbine with more than ten rows
-- in seven days passes `anomaly_count > 10`. Anomalies are counted in wind_turbine_aggregated, per
-- window. Only the latest revision of a window counts.
SELECT
  turbine_id,
  SUM(anomaly_count) as anomaly_count,
  AVG(vibration_level) as avg_vibration,
  MAX(temperature_max) as max_temperature
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY turbine_id, window_start ORDER BY revision DESC) as newest
  FROM wind_turbine_aggregated
) AS windows
WHERE newest = 1
  AND window_start > current_timestamp() - INTERVAL 7 DAYS
GROUP BY turbine_id
HAVING SUM(anomaly_count) > 10
ORDER BY anomaly_count DESC;
