-- Episodes, the gravest first, of equal ones the latest to begin.
SELECT
  turbine_id,
  farm_id,
  kind,
  severity,
  unix_micros(first_time) AS first_us,
  unix_micros(last_time) AS last_us,
  `rows`,
  ROW_NUMBER() OVER (
    ORDER BY
      CASE severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END,
      first_time DESC,
      turbine_id,
      kind
  ) AS place
FROM wind_turbine_anomaly_detection
