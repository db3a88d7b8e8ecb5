DROP TABLE skill_exposure;
DROP TABLE cross_project_user;
DROP TABLE cross_project_metrics;
DROP TABLE metrics_source;
DROP INDEX idx_search_unanswered;
DROP TRIGGER search_numbered;
DROP TABLE search_order;
DROP TABLE store_identity;
