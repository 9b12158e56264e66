-- Turbines with their asset data. Coordinates are those of the lake, rounded to 0.1 degree.
SELECT
  turbine_id,
  farm_id,
  MAX(region) AS region,
  MAX(turbine_type) AS turbine_type,
  MAX(rated_power) AS rated_power,
  MAX(latitude_coarse) AS latitude,
  MAX(longitude_coarse) AS longitude
FROM wind_turbine_enriched
GROUP BY turbine_id, farm_id
ORDER BY farm_id, turbine_id
