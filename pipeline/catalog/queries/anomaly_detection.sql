-- Anomaly detection
SELECT
  turbine_id,
  timestamp,
  vibration_level,
  temperature,
  'High vibration detected' as alert_type
FROM wind_turbine_enriched
WHERE vibration_level > threshold_value
  AND timestamp > current_timestamp() - INTERVAL 1 HOUR
ORDER BY timestamp DESC;
