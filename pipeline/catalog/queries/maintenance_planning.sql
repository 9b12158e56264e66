-- Maintenance planning
SELECT
  turbine_id,
  COUNT(*) as anomaly_count,
  AVG(vibration_level) as avg_vibration,
  MAX(temperature) as max_temperature
FROM wind_turbine_validated
WHERE timestamp > current_timestamp() - INTERVAL 7 DAYS
GROUP BY turbine_id
HAVING anomaly_count > 10
ORDER BY anomaly_count DESC;
