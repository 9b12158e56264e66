CREATE OR REPLACE VIEW wind_turbine_maintenance_dashboard AS
SELECT turbine_id, farm_id FROM wind_turbine_enriched GROUP BY turbine_id, farm_id;
